-- Title: Data quality of the last nights
-- Description: What came, what was set aside and by which rule, and what the new records lack, newest night first; of
-- the last two weeks. A proportion that jumps from one night to the next is a question to the registry.

SELECT
    quality.night,
    quality.dataset,
    quality.measure,
    quality.rule,
    quality.n,
    quality.n_of,
    round(quality.proportion::numeric, 3) AS proportion
FROM analyst.batch_quality AS quality
WHERE
    quality.n > 0
    AND quality.night > (
        SELECT max(night.batch_date) - 14 FROM analyst.run_reconciliation
        WHERE night.job = 'nightly_scoring'
    )
ORDER BY quality.night DESC, quality.dataset ASC, quality.measure ASC, quality.n DESC;
