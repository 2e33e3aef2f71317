-- The ledger only grows. Whoever wants to undo a booking books the opposite.
CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'transactions are append-only' USING ERRCODE = 'BH409';
END $$;
--> statement-breakpoint
CREATE TRIGGER transactions_append_only BEFORE UPDATE OR DELETE ON transactions
  FOR EACH ROW EXECUTE FUNCTION refuse_ledger_change();
--> statement-breakpoint
CREATE TRIGGER transactions_no_truncate BEFORE TRUNCATE ON transactions
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
--> statement-breakpoint
-- Whoever acts must still be there: the account active, the session not ended, the role as needed. It raises, and
-- so ends the whole batch that it stands at the head of, without a second round trip.
-- BH401: session or account gone; BH423: blocked; BH403: not an administrator.
CREATE FUNCTION assert_standing(actor uuid, session uuid, administrator boolean) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE
  person users%ROWTYPE;
BEGIN
  SELECT * INTO person FROM users WHERE uid = actor;
  IF NOT FOUND OR person.status = 'DELETED' THEN
    RAISE EXCEPTION 'no such account' USING ERRCODE = 'BH401';
  END IF;
  IF person.status = 'BLOCKED' THEN
    RAISE EXCEPTION 'account blocked' USING ERRCODE = 'BH423';
  END IF;
  IF NOT EXISTS (SELECT FROM sessions WHERE uid = session AND user_uid = actor AND ended_at IS NULL AND expires_at > now()) THEN
    RAISE EXCEPTION 'session ended' USING ERRCODE = 'BH401';
  END IF;
  IF administrator AND person.role <> 'ADMIN' THEN
    RAISE EXCEPTION 'not an administrator' USING ERRCODE = 'BH403';
  END IF;
END $$;
