drop table ai_prompts;
