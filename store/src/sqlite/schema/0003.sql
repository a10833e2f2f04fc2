-- STORED: layout 3. A piece of an attachment may be an object outside the store.
--
-- Then `object` is its name, and `ciphertext` the object's own key.
ALTER TABLE piece ADD COLUMN object BLOB;
CREATE UNIQUE INDEX piece_object ON piece (object) WHERE object IS NOT NULL;
