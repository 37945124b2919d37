drop table alert_answers;
drop table alert_silences;
drop table alerts;
