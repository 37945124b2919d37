update emails set category = 'nudges' where category = 'news';
delete from email_suppressions where category = 'news';
update email_preferences set turned_off = array_remove(turned_off, 'news');
alter table email_preferences drop constraint email_preferences_turned_off_check;
alter table email_preferences add constraint email_preferences_turned_off_check check (turned_off <@
    array['usage', 'renders', 'digest', 'nudges']);
alter table email_suppressions drop constraint email_suppressions_category_check;
alter table email_suppressions add constraint email_suppressions_category_check check (category in
    ('security', 'account', 'usage', 'renders', 'digest', 'nudges'));
alter table emails drop constraint emails_category_check;
alter table emails add constraint emails_category_check check (category in
    ('security', 'account', 'usage', 'renders', 'digest', 'nudges'));
