alter function book(books_version[], hold_end[], budget_change[], budget_change[], grant_change[],
                    new_hold[], new_entry[], new_usage[])
    reset plan_cache_mode;
