-- Rules without a limit of tries have had to have a pause for a while; those that were stored before get the least one that
-- is accepted now (one second at first, five after some), or they would try again as fast as the carrier answers.
UPDATE retry_rule SET first_s = GREATEST(first_s, 1), most_s = GREATEST(most_s, first_s, 5)
WHERE tries = 0 AND how <> 'never' AND (first_s < 1 OR most_s < 5);
