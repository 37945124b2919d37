delete from generations where batch_id is not null;
drop index generations_next_of_batches;
drop index generations_by_batch;
alter table generations
    drop constraint generation_of_a_batch_has_its_line,
    drop column batch_id, drop column custom_id, drop column line;
drop table ai_batches;
drop table ai_files;
