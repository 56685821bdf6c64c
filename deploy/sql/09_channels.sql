-- pgtide.broadcast(): a message to a broadcast channel, as a part of the caller's transaction. It is delivered when that
-- commits, among its row changes where it was sent, and not at all when it rolls back. It is a transactional logical message
-- with prefix pgtide.broadcast and the body CHANNEL LF EVENT LF PAYLOAD; nothing is stored in a table.
--
-- The rules of channels (channels.rules) are for clients. Whoever may run SQL may send: PostgreSQL lets every role write logical messages, with or without
-- this function, unless EXECUTE on pg_logical_emit_message is taken from public.

create or replace function pgtide.broadcast(topic text, event text, payload jsonb) returns pg_lsn
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$
declare
    channel constant text := 'broadcast:' || topic;
begin
    if topic is null or topic = '' or octet_length(channel) > 255 or topic ~ '[\u0001-\u001f\u007f-\u009f]' then
        raise exception 'a topic is 1 to 245 bytes without control characters'
            using errcode = 'invalid_parameter_value';
    end if;
    if event is null or octet_length(event) > 1024 or event ~ '[\u0001-\u001f\u007f-\u009f]' then
        raise exception 'an event is at most 1024 bytes without control characters'
            using errcode = 'invalid_parameter_value';
    end if;
    if octet_length(coalesce(payload, 'null'::jsonb)::text) > 1048576 then
        raise exception 'the payload is larger than 1 MiB'
            using errcode = 'program_limit_exceeded', hint = 'Send a key, and let clients fetch the rest.';
    end if;
    return pg_logical_emit_message(true, 'pgtide.broadcast',
                                   channel || E'\n' || event || E'\n' || coalesce(payload, 'null'::jsonb)::text);
end
$$;
comment on function pgtide.broadcast(text, text, jsonb) is
    'pgtide: send event and payload to channel broadcast:TOPIC when this transaction commits';
