drop index generations_by_provider_batch;
drop index generations_unsorted;
drop index generations_next_of_batches;
alter table generations
    drop column at_most,
    drop column sent,
    drop column provider_batch_id,
    drop column unsorted;
create index generations_next_of_batches on generations (line, id)
    where batch_id is not null and status = 'queued' and not_before is null;
drop table ai_provider_batches;
