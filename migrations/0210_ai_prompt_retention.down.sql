drop function keeps_prompts;
alter table users drop column keeps_prompts;
alter table orgs drop column keeps_prompts;
