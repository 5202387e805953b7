-- From version 8 to 9: the configurations that live runs took while they ran. What the columns hold is
-- told in schema.sql.
CREATE TABLE reconfigured (
    run           INTEGER NOT NULL REFERENCES runs (id),
    config_sha256 TEXT NOT NULL,
    PRIMARY KEY (run, config_sha256)
) STRICT, WITHOUT ROWID;
