-- The pairs as they come: an index keeps each once by itself, and sorting them was half of the work.
CREATE OR REPLACE FUNCTION text_pairs(content text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 2000 AS $$
    SELECT COALESCE(array_agg(a || b), '{}')
    FROM (SELECT string_to_array(content, NULL) AS c) t, unnest(c, c[2:]) AS u (a, b) WHERE b IS NOT NULL
$$;
