-- Columns that came lately are configuration, too: nodes drop at once what was stopped.
SELECT config_watch('api_key', 'keys', '{last_used_at,last_used_ip}'),
       config_watch('allow_list', 'lists'),
       config_watch('sign', 'content'),
       config_watch('template', 'content');
