drop table experiment_exposures, experiments, flags;
drop function announce_experiments, announce_flags;
