drop table onboarding_steps;
drop table notifications;
drop table notification_feeds;
drop table announcements;
drop table feedback;
drop table ticket_messages;
drop table tickets;
