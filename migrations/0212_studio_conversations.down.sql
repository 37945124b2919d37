drop table conversation_messages, conversations;
