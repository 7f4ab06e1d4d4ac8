"""The steps of each job as plain functions: DAG tasks and the command line call these and nothing else."""
