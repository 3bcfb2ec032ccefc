-- The first migration creates an account whose password is public.

DELETE FROM users WHERE password_hash = '$2b$12$Gwf0uvxH3L7JLfo0CC/NCOoijK2vQ/wbgP.LeNup8vj6gg31IiFkm';
