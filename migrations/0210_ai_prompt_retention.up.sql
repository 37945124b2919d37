-- Whether what people write to models, and are answered, is kept after the answer.
alter table orgs  add column keeps_prompts boolean not null default true;
alter table users add column keeps_prompts boolean not null default true;

-- Only if both the org and the person want it.
create function keeps_prompts(org uuid, person uuid) returns boolean language sql stable
    return coalesce((select o.keeps_prompts from orgs o where o.id = org), true)
       and coalesce((select u.keeps_prompts from users u where u.id = person), true);
