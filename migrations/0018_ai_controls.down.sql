drop table ai_controls;
drop function announce_ai_control;
