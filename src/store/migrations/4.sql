-- From version 3 to 4: what flows without a certain name may have been, and what is needed to name the past. Of rows of
-- before it is not known which of their bytes the books have in another bucket than their target's: none, as it is said here.
ALTER TABLE usage ADD COLUMN elsewhere_flows INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN elsewhere_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE targets ADD COLUMN catalogue INTEGER REFERENCES catalogues (id);
ALTER TABLE targets ADD COLUMN named_at INTEGER;

-- What flows may have been whose name is hidden or ambiguous, by what DNS had told the same client.
CREATE TABLE possible (
    hour           INTEGER NOT NULL,
    run            INTEGER NOT NULL REFERENCES runs (id),
    target         INTEGER NOT NULL REFERENCES targets (id),
    flows          INTEGER NOT NULL,
    bytes          INTEGER NOT NULL,
    bytes_expected INTEGER NOT NULL,
    first_seen     INTEGER NOT NULL,
    last_seen      INTEGER NOT NULL,
    PRIMARY KEY (hour, run, target)
) STRICT, WITHOUT ROWID;
