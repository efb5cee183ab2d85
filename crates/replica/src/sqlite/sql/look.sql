SELECT major, minor, (SELECT value FROM main.tandem_meta WHERE key = 'tandem_schema')
FROM main.version
