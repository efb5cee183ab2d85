ALTER TABLE operations ADD COLUMN uuid GENERATED ALWAYS AS (
    coalesce(
        json_extract(data, '$.Update.uuid'),
        json_extract(data, '$.Create.uuid'),
        json_extract(data, '$.Delete.uuid')
    )
) VIRTUAL;
