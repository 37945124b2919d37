alter table assets drop column thumbnail_type;
