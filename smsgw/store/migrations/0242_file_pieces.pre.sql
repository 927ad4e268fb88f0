-- The octets of stored files, in pieces, where every node and every backup has them (docs/adr/093). "pieces" says how many a file has; none: its octets lie on
-- its node alone, as an earlier release has left them, until that node has put them here.
ALTER TABLE file ADD COLUMN pieces int NOT NULL DEFAULT 0;
CREATE TABLE file_piece (
    file_id bigint NOT NULL,                      -- its row is entered behind its pieces
    n int NOT NULL,
    octets bytea NOT NULL,
    put_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (file_id, n)
);
ALTER TABLE file_piece ALTER COLUMN octets SET STORAGE EXTERNAL;
