-- Planning took a quarter of the time of a batch that has one call: with arrays of unknown length the planner never
-- believes that a plan it kept is as good. With the other settings of `book` there is only one plan anyway.
alter function book(books_version[], hold_end[], budget_change[], budget_change[], grant_change[],
                    new_hold[], new_entry[], new_usage[])
    set plan_cache_mode = force_generic_plan;
