"""What must always be true of events and their deliveries. Each statement returns what breaks its rule, and where."""

from __future__ import annotations

EVENT_CHECKS = {
    "events are numbered from 1 without gaps": """
        WITH numbered AS (
            SELECT c.organisation_id, c.account_id, c.sequence_first,
                   c.sequence_first + cardinality(c.event_types) * greatest(cardinality(c.order_ids), 1) AS next_first,
                   lead(c.sequence_first) OVER w AS following, lag(c.sequence_first) OVER w AS before
              FROM event_chunks c WHERE c.sequence_first IS NOT NULL
            WINDOW w AS (PARTITION BY c.organisation_id, c.account_id ORDER BY c.sequence_first))
        SELECT 'account ' || n.account_id || ': ' || n.sequence_first || ' is followed by '
               || coalesce(n.following::text, 'nothing') || ', not by ' || n.next_first
          FROM numbered n
          LEFT JOIN event_heads h ON h.organisation_id = n.organisation_id AND h.account_id = n.account_id
         WHERE n.next_first IS DISTINCT FROM coalesce(n.following, h.sequence_last + 1)
            OR (n.before IS NULL AND n.sequence_first <> 1 AND h.kept_from IS NULL)
    """,
    "every status that an order has reached was told, once": """
        WITH told AS (
            SELECT c.organisation_id, c.account_id, o.order_id, t.event_type, count(*) AS times
              FROM event_chunks c
             CROSS JOIN unnest(c.order_ids) AS o (order_id)
             CROSS JOIN unnest(c.event_types) AS t (event_type)
             WHERE t.event_type LIKE 'order.%'
             GROUP BY c.organisation_id, c.account_id, o.order_id, t.event_type),
        reached AS (
            SELECT o.organisation_id, o.account_id, o.order_id, s.event_type, s.at
              FROM orders o
             CROSS JOIN LATERAL (VALUES ('order.received', o.created_at), ('order.placed', o.placed_at),
                                        ('order.paid', o.paid_at), ('order.retiring', o.retiring_at),
                                        ('order.completed', o.completed_at), ('order.cancelled', o.cancelled_at),
                                        ('order.failed', o.failed_at)) AS s (event_type, at)
             WHERE s.at IS NOT NULL)
        SELECT 'order ' || order_id || ': ' || event_type || ' was told ' || coalesce(told.times, 0) || ' times'
          FROM reached
          FULL JOIN told USING (organisation_id, account_id, order_id, event_type)
          LEFT JOIN event_heads h USING (organisation_id, account_id)
         WHERE told.times > 1 OR reached.order_id IS NULL
            -- What was told long ago is deleted; of the day on which that began, some is.
            OR (told.times IS NULL AND reached.at >= coalesce(h.kept_from + interval '1 day', '-infinity'))
    """,
    "each webhook waits for what comes after what it got, and is due where there is more": """
        SELECT 'webhook ' || c.webhook_id || ', account ' || c.account_id || ': waits for ' || c.sequence_next
               || ', the last is ' || coalesce(h.sequence_last, 0)
          FROM webhook_cursors c
          LEFT JOIN event_heads h ON h.organisation_id = c.organisation_id AND h.account_id = c.account_id
         WHERE c.sequence_next > coalesce(h.sequence_last, 0) + 1 OR c.batch_last > coalesce(h.sequence_last, 0)
            OR (c.due_at IS NULL AND c.sequence_next <= h.sequence_last)
    """,
}
