-- A file of 0.8 that cannot be written, so not upgraded, shown as if it had been.
CREATE TEMP VIEW operations AS
SELECT
    id,
    data,
    0 AS synced,
    coalesce(
        json_extract(data, '$.Update.uuid'),
        json_extract(data, '$.Create.uuid'),
        json_extract(data, '$.Delete.uuid')
    ) AS uuid
FROM main.operations;
