-- Nodes of the version before ask about a task without saying which: it is the one whose id the question has.
ALTER TABLE review DROP CONSTRAINT review_check;
CREATE FUNCTION review_task() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.task_id := NEW.batch_id;
    RETURN NEW;
END $$;
CREATE TRIGGER review_task BEFORE INSERT ON review FOR EACH ROW
    WHEN (NEW.task AND NEW.task_id IS NULL) EXECUTE FUNCTION review_task();
