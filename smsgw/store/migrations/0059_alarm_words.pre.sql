-- What an alarm tells, as words and values, to be put into the reader's language; "detail" is its Chinese.
ALTER TABLE alarm ADD COLUMN said jsonb;
