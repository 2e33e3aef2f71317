CREATE TABLE "sessions" (
	"uid" uuid PRIMARY KEY NOT NULL,
	"user_uid" uuid NOT NULL,
	"generation" integer DEFAULT 0 NOT NULL,
	"rotated_at" timestamp with time zone NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"ended_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "chats" (
	"uid" uuid PRIMARY KEY NOT NULL,
	"user_uid" uuid NOT NULL,
	"title" text,
	"total_token_used" bigint DEFAULT 0 NOT NULL,
	"total_credit_spent" bigint DEFAULT 0 NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone NOT NULL,
	"deleted_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "messages" (
	"uid" uuid PRIMARY KEY NOT NULL,
	"user_uid" uuid NOT NULL,
	"chat_uid" uuid NOT NULL,
	"model_uid" uuid,
	"role" text NOT NULL,
	"reply_to" uuid,
	"message" text NOT NULL,
	"reasoning" text,
	"status" text NOT NULL,
	"finish_reason" text,
	"token_used" integer DEFAULT 0 NOT NULL,
	"credit_spent" bigint DEFAULT 0 NOT NULL,
	"prompt_tokens" integer GENERATED ALWAYS AS ((octet_length(message) + 3) / 4 + 4) STORED NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	CONSTRAINT "messages_role" CHECK ("messages"."role" IN ('system', 'user', 'assistant')),
	CONSTRAINT "messages_status" CHECK ("messages"."status" IN ('STREAMING', 'COMPLETED', 'STOPPED', 'FAILED'))
);
--> statement-breakpoint
CREATE TABLE "outbox" (
	"uid" uuid PRIMARY KEY NOT NULL,
	"user_uid" uuid NOT NULL,
	"event" text NOT NULL,
	"data" jsonb NOT NULL,
	"created_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "idempotency" (
	"user_uid" uuid NOT NULL,
	"key" text NOT NULL,
	"fingerprint" text NOT NULL,
	"status" smallint,
	"body" jsonb,
	"generation_uid" uuid,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_user_uid_key_pk" PRIMARY KEY("user_uid","key")
);
--> statement-breakpoint
CREATE TABLE "generations" (
	"uid" uuid PRIMARY KEY NOT NULL,
	"user_uid" uuid NOT NULL,
	"door" text NOT NULL,
	"model_uid" uuid NOT NULL,
	"model_name" text NOT NULL,
	"key_uid" uuid,
	"chat_uid" uuid,
	"user_message_uid" uuid,
	"message_uid" uuid,
	"status" text NOT NULL,
	"input_rate" bigint NOT NULL,
	"cached_input_rate" bigint NOT NULL,
	"output_rate" bigint NOT NULL,
	"rate_per" bigint NOT NULL,
	"prompt_estimate" integer NOT NULL,
	"allowed_tokens" integer NOT NULL,
	"hold" bigint NOT NULL,
	"lease_until" timestamp with time zone NOT NULL,
	"stop_requested_at" timestamp with time zone,
	"text_so_far" text DEFAULT '' NOT NULL,
	"reasoning_so_far" text DEFAULT '' NOT NULL,
	"finish_reason" text,
	"failure_code" text,
	"failure_detail" text,
	"prompt_tokens" integer,
	"completion_tokens" integer,
	"total_tokens" integer,
	"cached_tokens" integer,
	"reasoning_tokens" integer,
	"usage_source" text,
	"cost" bigint,
	"shortfall" bigint,
	"balance_after" bigint,
	"first_token_ms" integer,
	"created_at" timestamp with time zone NOT NULL,
	"settled_at" timestamp with time zone,
	CONSTRAINT "generations_status" CHECK ("generations"."status" IN ('RUNNING', 'COMPLETED', 'STOPPED', 'FAILED')),
	CONSTRAINT "generations_settled" CHECK (("generations"."status" = 'RUNNING') = ("generations"."settled_at" IS NULL)),
	CONSTRAINT "generations_money" CHECK ("generations"."hold" >= 0 AND coalesce("generations"."cost", 0) >= 0 AND coalesce("generations"."shortfall", 0) >= 0),
	CONSTRAINT "generations_rates" CHECK ("generations"."input_rate" > 0 AND "generations"."cached_input_rate" > 0 AND "generations"."output_rate" > 0 AND "generations"."rate_per" > 0)
);
--> statement-breakpoint
CREATE TABLE "keys" (
	"uid" uuid PRIMARY KEY NOT NULL,
	"user_uid" uuid NOT NULL,
	"name" text NOT NULL,
	"digest" text NOT NULL,
	"hint" text NOT NULL,
	"budget" bigint,
	"spent" bigint DEFAULT 0 NOT NULL,
	"held" bigint DEFAULT 0 NOT NULL,
	"model_uids" uuid[],
	"expires_at" timestamp with time zone,
	"last_used_at" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "keys_money" CHECK ("keys"."spent" >= 0 AND "keys"."held" >= 0 AND coalesce("keys"."budget", 0) >= 0)
);
--> statement-breakpoint
CREATE TABLE "models" (
	"uid" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"description" text NOT NULL,
	"type" text NOT NULL,
	"api_link" text NOT NULL,
	"auth_token_sealed" text,
	"token_cost_micros" bigint NOT NULL,
	"input_price" bigint,
	"output_price" bigint,
	"cached_input_price" bigint,
	"context_tokens" integer NOT NULL,
	"max_output_tokens" integer,
	"limit_param" text DEFAULT 'max_tokens' NOT NULL,
	"stream_options" boolean DEFAULT true NOT NULL,
	"enabled" boolean DEFAULT true NOT NULL,
	"cooldown_until" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"deleted_at" timestamp with time zone,
	CONSTRAINT "models_token_cost" CHECK ("models"."token_cost_micros" > 0),
	CONSTRAINT "models_prices" CHECK (("models"."input_price" IS NULL) = ("models"."output_price" IS NULL) AND coalesce("models"."input_price", 1) > 0 AND coalesce("models"."output_price", 1) > 0 AND coalesce("models"."cached_input_price", 1) > 0),
	CONSTRAINT "models_tokens" CHECK ("models"."context_tokens" > 0 AND coalesce("models"."max_output_tokens", 1) > 0)
);
--> statement-breakpoint
CREATE TABLE "accounts" (
	"user_uid" uuid PRIMARY KEY NOT NULL,
	"balance" bigint DEFAULT 0 NOT NULL,
	"held" bigint DEFAULT 0 NOT NULL,
	"seq" bigint DEFAULT 0 NOT NULL,
	"send_level" double precision,
	"send_at" timestamp with time zone,
	CONSTRAINT "accounts_balance" CHECK ("accounts"."balance" BETWEEN 0 AND 1000000000000000),
	CONSTRAINT "accounts_held" CHECK ("accounts"."held" BETWEEN 0 AND "accounts"."balance")
);
--> statement-breakpoint
CREATE TABLE "transactions" (
	"uid" uuid PRIMARY KEY NOT NULL,
	"user_uid" uuid NOT NULL,
	"amount" bigint NOT NULL,
	"type" text NOT NULL,
	"description" text NOT NULL,
	"balance_after" bigint NOT NULL,
	"seq" bigint NOT NULL,
	"generation_uid" uuid,
	"booked_by" uuid,
	"created_at" timestamp with time zone NOT NULL,
	CONSTRAINT "transactions_amount" CHECK ("transactions"."amount" <> 0 AND abs("transactions"."amount") <= 1000000000000000),
	CONSTRAINT "transactions_balance_after" CHECK ("transactions"."balance_after" BETWEEN 0 AND 1000000000000000),
	CONSTRAINT "transactions_type" CHECK (CASE "transactions"."type" WHEN 'PURCHASE' THEN "transactions"."amount" > 0 WHEN 'REFUND' THEN "transactions"."amount" > 0 WHEN 'GENERATION_COST' THEN "transactions"."amount" < 0 WHEN 'ADJUSTMENT' THEN true ELSE false END)
);
--> statement-breakpoint
CREATE TABLE "users" (
	"uid" uuid PRIMARY KEY NOT NULL,
	"first_name" text NOT NULL,
	"last_name" text NOT NULL,
	"mail" text,
	"phone" text,
	"role" text NOT NULL,
	"status" text NOT NULL,
	"password_hash" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "users_role" CHECK ("users"."role" IN ('USER', 'ADMIN')),
	CONSTRAINT "users_status" CHECK ("users"."status" IN ('ACTIVE', 'BLOCKED', 'DELETED'))
);
--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_user_uid_users_uid_fk" FOREIGN KEY ("user_uid") REFERENCES "public"."users"("uid") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "chats" ADD CONSTRAINT "chats_user_uid_users_uid_fk" FOREIGN KEY ("user_uid") REFERENCES "public"."users"("uid") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "messages" ADD CONSTRAINT "messages_user_uid_users_uid_fk" FOREIGN KEY ("user_uid") REFERENCES "public"."users"("uid") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "messages" ADD CONSTRAINT "messages_chat_uid_chats_uid_fk" FOREIGN KEY ("chat_uid") REFERENCES "public"."chats"("uid") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "messages" ADD CONSTRAINT "messages_model_uid_models_uid_fk" FOREIGN KEY ("model_uid") REFERENCES "public"."models"("uid") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "idempotency" ADD CONSTRAINT "idempotency_user_uid_users_uid_fk" FOREIGN KEY ("user_uid") REFERENCES "public"."users"("uid") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "generations" ADD CONSTRAINT "generations_user_uid_users_uid_fk" FOREIGN KEY ("user_uid") REFERENCES "public"."users"("uid") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "generations" ADD CONSTRAINT "generations_model_uid_models_uid_fk" FOREIGN KEY ("model_uid") REFERENCES "public"."models"("uid") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "generations" ADD CONSTRAINT "generations_key_uid_keys_uid_fk" FOREIGN KEY ("key_uid") REFERENCES "public"."keys"("uid") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "keys" ADD CONSTRAINT "keys_user_uid_users_uid_fk" FOREIGN KEY ("user_uid") REFERENCES "public"."users"("uid") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_user_uid_users_uid_fk" FOREIGN KEY ("user_uid") REFERENCES "public"."users"("uid") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "transactions" ADD CONSTRAINT "transactions_user_uid_users_uid_fk" FOREIGN KEY ("user_uid") REFERENCES "public"."users"("uid") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "sessions_user" ON "sessions" USING btree ("user_uid");--> statement-breakpoint
CREATE INDEX "chats_user_newest" ON "chats" USING btree ("user_uid","created_at","uid") WHERE "chats"."deleted_at" IS NULL;--> statement-breakpoint
CREATE INDEX "messages_chat_newest" ON "messages" USING btree ("chat_uid","created_at","uid");--> statement-breakpoint
CREATE INDEX "messages_reply" ON "messages" USING btree ("reply_to","created_at","uid");--> statement-breakpoint
CREATE INDEX "outbox_oldest" ON "outbox" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "idempotency_oldest" ON "idempotency" USING btree ("created_at");--> statement-breakpoint
CREATE UNIQUE INDEX "generations_running_in_chat" ON "generations" USING btree ("chat_uid") WHERE "generations"."status" = 'RUNNING';--> statement-breakpoint
CREATE INDEX "generations_running_of_user" ON "generations" USING btree ("user_uid") WHERE "generations"."status" = 'RUNNING';--> statement-breakpoint
CREATE INDEX "generations_lease" ON "generations" USING btree ("lease_until") WHERE "generations"."status" = 'RUNNING';--> statement-breakpoint
CREATE INDEX "generations_user_newest" ON "generations" USING btree ("user_uid","created_at","uid");--> statement-breakpoint
CREATE INDEX "generations_newest" ON "generations" USING btree ("created_at");--> statement-breakpoint
CREATE UNIQUE INDEX "keys_digest_key" ON "keys" USING btree ("digest");--> statement-breakpoint
CREATE INDEX "keys_user_newest" ON "keys" USING btree ("user_uid","created_at","uid");--> statement-breakpoint
CREATE UNIQUE INDEX "models_name_key" ON "models" USING btree ("name") WHERE "models"."deleted_at" IS NULL;--> statement-breakpoint
CREATE INDEX "models_newest" ON "models" USING btree ("created_at","uid") WHERE "models"."deleted_at" IS NULL;--> statement-breakpoint
CREATE UNIQUE INDEX "transactions_generation_key" ON "transactions" USING btree ("generation_uid");--> statement-breakpoint
CREATE UNIQUE INDEX "transactions_user_seq_key" ON "transactions" USING btree ("user_uid","seq");--> statement-breakpoint
CREATE INDEX "transactions_user_newest" ON "transactions" USING btree ("user_uid","created_at","uid");--> statement-breakpoint
CREATE INDEX "transactions_newest" ON "transactions" USING btree ("created_at","uid");--> statement-breakpoint
CREATE INDEX "transactions_type_newest" ON "transactions" USING btree ("type","created_at","uid");--> statement-breakpoint
CREATE UNIQUE INDEX "users_mail_key" ON "users" USING btree ("mail");--> statement-breakpoint
CREATE UNIQUE INDEX "users_phone_key" ON "users" USING btree ("phone");--> statement-breakpoint
CREATE INDEX "users_newest" ON "users" USING btree ("created_at","uid");