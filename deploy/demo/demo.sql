-- The demo of deploy/up: three small tables, and a function that changes a few of their rows.
-- Applied again at every start; refuses to touch tables of the same name that are not the demo's.

do $check$
declare
    taken text;
begin
    select string_agg(c.oid::regclass::text, ', ') into taken
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relname in ('orders', 'messages', 'sensors')
        and coalesce(obj_description(c.oid, 'pg_class'), '') <> 'pgtide demo';
    if taken is not null then
        raise exception 'this database has tables of its own that are called like the demo''s: %', taken
            using hint = 'Start with deploy/up --no-demo, or use another database.';
    end if;
end
$check$;

create schema if not exists pgtide_demo;

do $type$
begin
    if to_regtype('pgtide_demo.order_status') is null then
        create type pgtide_demo.order_status as enum ('new', 'paid', 'packed', 'shipped', 'returned');
    end if;
end
$type$;

create table if not exists public.orders (
    id bigint generated always as identity primary key,
    customer text not null,
    status pgtide_demo.order_status not null default 'new',
    items jsonb not null default '[]',
    total numeric(12, 2) not null,
    tags text[] not null default '{}',
    note text,
    placed_at timestamptz not null default now()
);
create table if not exists public.messages (
    id uuid primary key default gen_random_uuid(),
    room text not null,
    author text not null,
    body text not null,
    edited boolean not null default false,
    sent_at timestamptz not null default now()
);
create table if not exists public.sensors (
    id integer primary key,
    name text not null,
    address inet,
    celsius double precision,
    humidity real,
    last_ten real[] not null default '{}',
    valid tstzrange,
    raw bytea,
    updated_at timestamptz not null default now()
);
comment on table public.orders is 'pgtide demo';
comment on table public.messages is 'pgtide demo';
comment on table public.sensors is 'pgtide demo';

do $grants$
declare
    reader name;
begin
    for reader in select rolname from pg_roles where rolname in ('anon', 'authenticated', 'service_role') loop
        execute format('grant select on public.orders, public.messages, public.sensors to %I', reader);
    end loop;
end
$grants$;

insert into public.sensors (id, name, address, celsius, humidity)
select n, 'sensor ' || n, ('10.0.0.' || n)::inet, 20, 50 from generate_series(1, 8) n
on conflict do nothing;

-- One step of the demo: a few rows, as an application would change them. Tables stay small.
create or replace function pgtide_demo.step() returns void
    language plpgsql
    as $$
declare
    names constant text[] := array['Ada', 'Grace', 'Edsger', 'Barbara', 'Donald', 'Frances', 'Ken', 'Radia'];
    goods constant text[] := array['kettle', 'lamp', 'notebook', 'chair', 'radio', 'umbrella', 'map', 'clock'];
    lines constant text[] := array['Anyone there?', 'The deploy is green.', 'Lunch at twelve?', 'Naïve café ☕ test',
                                   'Who moved the lamp?', 'Looking into it.', 'Fixed.', 'Thanks!'];
    dice constant double precision := random();
    someone constant text := names[1 + floor(random() * 8)::integer];
    quantity constant integer := 1 + floor(random() * 4)::integer;
    price constant numeric := round((5 + random() * 95)::numeric, 2);
    thing constant text := goods[1 + floor(random() * 8)::integer];
begin
    update public.sensors set
        celsius = round((celsius + random() - 0.5)::numeric, 2),
        humidity = greatest(0, least(100, humidity + (random() * 4 - 2)::real)),
        last_ten = (array[celsius::real] || last_ten)[1:10],
        valid = tstzrange(now(), now() + interval '1 minute'),
        raw = decode(md5(random()::text), 'hex'),
        updated_at = now()
    where id = 1 + floor(random() * 8)::integer;

    if dice < 0.35 then
        insert into public.orders (customer, items, total, tags) values (
            someone, jsonb_build_array(jsonb_build_object('thing', thing, 'quantity', quantity, 'price', price)),
            price * quantity, case when price * quantity > 150 then array['large', thing] else array[thing] end);
    elsif dice < 0.7 then
        update public.orders set
            status = (array['paid', 'packed', 'shipped', 'returned'])[1 + floor(random() * 4)::integer]::pgtide_demo.order_status,
            note = case when random() < 0.3 then 'changed at ' || to_char(now(), 'HH24:MI:SS') end
        where id = (select id from public.orders order by id desc offset floor(random() * 10)::integer limit 1);
    elsif dice < 0.9 then
        insert into public.messages (room, author, body)
        values ((array['general', 'kitchen', 'ops'])[1 + floor(random() * 3)::integer], someone,
                lines[1 + floor(random() * 8)::integer]);
    else
        update public.messages set body = body || ' (edited)', edited = true
        where id = (select id from public.messages where not edited order by sent_at desc limit 1);
    end if;

    delete from public.orders where id in (select id from public.orders order by id desc offset 50);
    delete from public.messages where id in (select id from public.messages order by sent_at desc offset 50);
end
$$;

-- Quiet when it is done already.
select enable_realtime(t.name) from unnest(array['orders', 'messages', 'sensors']) as t (name)
where not exists (select from realtime_enabled_tables e where e.schema_name = 'public' and e.table_name = t.name);
