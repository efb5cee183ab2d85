-- 0.8 removed operations when they were synced, so whatever it still holds is pending.
ALTER TABLE operations ADD COLUMN synced bool DEFAULT false;
