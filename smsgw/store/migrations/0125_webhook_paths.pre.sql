-- Of a webhook's address people see the host: many have their token in the path.
UPDATE alarm_receiver SET shown = substring(shown FROM '^[^/]*//[^/]*') WHERE kind = 'webhook' AND shown ~ '^[^/]*//[^/]*/';
