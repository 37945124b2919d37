-- What kind of thumbnail there is of an image, once there is one.
alter table assets add column thumbnail_type text;
