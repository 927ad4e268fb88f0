-- Brands of the portal (platform/brand): what is published, and a draft beside it. A host has one brand.
CREATE TABLE brand (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    published jsonb,                              -- core.brand.Look; NULL: not yet
    published_at timestamptz,
    draft jsonb NOT NULL,
    drafted_at timestamptz NOT NULL DEFAULT now(),
    certificate text NOT NULL DEFAULT '',         -- PEM, the chain; '': the listener's own
    key_sealed bytea                              -- its key, sealed
);
CREATE TABLE brand_host (
    host text PRIMARY KEY,
    brand_id bigint NOT NULL REFERENCES brand ON DELETE CASCADE
);
CREATE INDEX brand_host_brand ON brand_host (brand_id);
-- Small and shown by every node: that is why they are not in a node's folder of files.
CREATE TABLE brand_picture (
    sha256 bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    media_type text NOT NULL,
    octets bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
-- A draft moves nothing: only what is shown does.
SELECT config_watch('brand', 'brands', '{draft,drafted_at}'), config_watch('brand_host', 'brands');
