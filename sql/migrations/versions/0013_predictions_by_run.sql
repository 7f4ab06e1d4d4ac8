-- Title: Predictions by their run
-- Description: What a run predicted is asked by the night's page (with which engine?) and by whoever follows a number
-- back (analyst.lineage). Without this index each of them reads every prediction that was ever made. Tables are not
-- partitioned by date: a night or a year is found through its index as quickly, and the key of a prediction, which
-- keeps a second run from writing it again, would no longer be unique over all nights (docs/performance.md).

CREATE INDEX joint_prediction_by_run ON scoring.joint_prediction (run_id);
