CREATE INDEX "keys_user_unrevoked" ON "keys" USING btree ("user_uid") WHERE "keys"."revoked_at" IS NULL;--> statement-breakpoint
-- The caller at the door stands for the key's owner. It raises as assert_standing does, and so ends the batch that it
-- stands in. It takes the key's row, which spent and held are moved on, after the account's: account, key, generation.
-- BH4K1: no such key, revoked, expired, or its owner is gone; BH423: the owner is blocked.
CREATE FUNCTION assert_key(secret_digest text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  asked keys%ROWTYPE;
  standing text;
BEGIN
  SELECT * INTO asked FROM keys WHERE digest = secret_digest FOR UPDATE;
  IF NOT FOUND OR asked.revoked_at IS NOT NULL OR asked.expires_at <= clock_timestamp() THEN
    RAISE EXCEPTION 'no such key' USING ERRCODE = 'BH4K1';
  END IF;
  SELECT status INTO standing FROM users WHERE uid = asked.user_uid;
  IF NOT FOUND OR standing = 'DELETED' THEN
    RAISE EXCEPTION 'no such account' USING ERRCODE = 'BH4K1';
  END IF;
  IF standing = 'BLOCKED' THEN
    RAISE EXCEPTION 'account blocked' USING ERRCODE = 'BH423';
  END IF;
END $$;
