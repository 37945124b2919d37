-- Mails of a further kind, which people can do without: what operators announce.
alter table emails drop constraint emails_category_check;
alter table emails add constraint emails_category_check check (category in
    ('security', 'account', 'usage', 'renders', 'digest', 'nudges', 'news'));
alter table email_suppressions drop constraint email_suppressions_category_check;
alter table email_suppressions add constraint email_suppressions_category_check check (category in
    ('security', 'account', 'usage', 'renders', 'digest', 'nudges', 'news'));
alter table email_preferences drop constraint email_preferences_turned_off_check;
alter table email_preferences add constraint email_preferences_turned_off_check check (turned_off <@
    array['usage', 'renders', 'digest', 'nudges', 'news']);
