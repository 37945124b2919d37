drop table ai_quotes;
drop table ai_routes;
