drop table user_preferences, creation_steps, creations, template_versions, templates, personas;
