drop table consents, policy_acceptances, policies;
