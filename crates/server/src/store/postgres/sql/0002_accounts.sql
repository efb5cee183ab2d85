-- Who may use the server: accounts, their tokens, and client ids that belong to them or are shut out.

CREATE TABLE tandem.accounts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- sorted byte by byte, on every installation alike
    name text COLLATE "C" NOT NULL UNIQUE,
    -- Argon2id, in the text form that names its own costs
    password text NOT NULL,
    is_disabled boolean NOT NULL,
    made_at bigint NOT NULL
);

-- SHA-256 of the token: 128 random bits need no slow hash.
CREATE TABLE tandem.tokens (
    hash bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    account bigint NOT NULL REFERENCES tandem.accounts (id),
    scope text NOT NULL CHECK (scope IN ('read', 'write')),
    made_at bigint NOT NULL
);
CREATE INDEX tokens_by_account ON tandem.tokens (account);

-- Client ids of which something is said, whether they have a history here or not.
CREATE TABLE tandem.client_access (
    client_id uuid PRIMARY KEY,
    account bigint REFERENCES tandem.accounts (id),
    is_disabled boolean NOT NULL,
    made_at bigint NOT NULL
);
CREATE INDEX client_access_by_account ON tandem.client_access (account);
