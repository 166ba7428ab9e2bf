CREATE INDEX by_name ON users (name);

CREATE INDEX ON users (name, email);

CREATE INDEX CONCURRENTLY by_name ON users (name);

CREATE UNIQUE INDEX by_name ON public.users USING btree (name);

CREATE INDEX IF NOT EXISTS by_name ON users (name);

CREATE INDEX by_name ON users (name DESC NULLS LAST, email ASC NULLS FIRST, id);

CREATE INDEX by_name ON users (name COLLATE "C" text_pattern_ops);

CREATE INDEX by_name ON users (name COLLATE pg_catalog."C" other.my_ops);

CREATE INDEX by_words ON users USING gist (words gist_trgm_ops (siglen = 32));

CREATE INDEX by_words ON users USING gin (words);

CREATE INDEX by_hash ON users USING hash (name) WITH (fillfactor = 70);

CREATE INDEX by_time ON users USING brin (made) WITH (pages_per_range = 16, autosummarize = on);

CREATE INDEX by_space ON users USING spgist (spot);

CREATE INDEX active ON users (name) WHERE deleted IS NULL AND age > 18;

CREATE INDEX ON users (lower(name));

CREATE INDEX ON users ((a + b), name);

CREATE INDEX ON users (name) INCLUDE (email);

CREATE UNIQUE INDEX ON users (name) NULLS NOT DISTINCT;

CREATE INDEX ON users (name) TABLESPACE fast;

CREATE INDEX ON ONLY users (name);

CREATE INDEX ON users USING rum (name);

CREATE INDEX ON users (name); CREATE INDEX ON users (name);

CREATE INDEX "Mixed" ON "Users" ("Name");

DROP INDEX by_name;

DROP INDEX CONCURRENTLY by_name;

DROP INDEX IF EXISTS by_name, public.by_email;

DROP INDEX by_name CASCADE;

DROP TABLE users;

DROP TABLE a, b, public.c;

DROP TABLE IF EXISTS users;

DROP TABLE users CASCADE;

DROP TABLE other.users;

DROP VIEW active;

DROP TYPE mood;

DROP SCHEMA other;

COMMENT ON COLUMN users.name IS 'what they are called';

COMMENT ON COLUMN public.users.name IS NULL;

COMMENT ON TABLE users IS 'people';

COMMENT ON INDEX by_name IS 'x';

CREATE TYPE mood AS ENUM ('sad', 'ok');

ALTER TYPE mood ADD VALUE 'happy';

CREATE VIEW active AS SELECT * FROM users;

CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM users;

CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1; SELECT 2';

CREATE EXTENSION pg_trgm;

CREATE SCHEMA other;

CREATE SEQUENCE numbers;

CREATE DOMAIN positive AS int CHECK (VALUE > 0);

CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f();

GRANT SELECT ON users TO reader;

INSERT INTO users (name) VALUES ('x');

UPDATE users SET name = 'x';

TRUNCATE users;

DO $$ BEGIN PERFORM 1; END $$;

VACUUM users; ANALYZE users;
