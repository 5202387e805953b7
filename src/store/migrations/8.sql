-- From version 7 to 8: who leads the loads in which connections began, labels of names below
-- domains, and the places whose traffic runs show. What the columns hold is told in schema.sql.
CREATE TABLE followed (
    hour        INTEGER NOT NULL,
    run         INTEGER NOT NULL REFERENCES runs (id),
    subject     INTEGER NOT NULL REFERENCES subjects (id),
    target      INTEGER NOT NULL REFERENCES targets (id),
    name_source INTEGER NOT NULL,
    catalogue   INTEGER NOT NULL REFERENCES catalogues (id),
    leader_1    INTEGER NOT NULL,
    leader_2    INTEGER NOT NULL,
    leader_3    INTEGER NOT NULL,
    flows_1s    INTEGER NOT NULL,
    flows_2s    INTEGER NOT NULL,
    flows_5s    INTEGER NOT NULL,
    PRIMARY KEY (hour, run, subject, target, name_source, catalogue, leader_1, leader_2, leader_3)
) STRICT, WITHOUT ROWID;

ALTER TABLE targets ADD COLUMN label TEXT NOT NULL DEFAULT '';
DROP INDEX targets_text;
CREATE UNIQUE INDEX targets_text
    ON targets (ifnull(app, 0), role, tenant, edition, domain, label);

ALTER TABLE runs ADD COLUMN site TEXT NOT NULL DEFAULT '';
