drop table client_errors;
