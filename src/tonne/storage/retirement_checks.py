"""What must always be true of pools, lots and retirements: design, section 6."""

from __future__ import annotations

RETIREMENT_CHECKS = {
    "the orders' parts of a retirement add up to its tonnes": """
        SELECT 'retirement ' || r.retirement_id || ': ' || r.tonnes || ' t, the parts hold ' || coalesce(a.grams, 0) || ' g'
          FROM retirements r
          LEFT JOIN (SELECT organisation_id, retirement_id, sum(quantity_grams) AS grams FROM allocations
                      GROUP BY organisation_id, retirement_id) a USING (organisation_id, retirement_id)
         WHERE coalesce(a.grams, 0) <> CASE WHEN r.replaces_id IS NULL THEN r.tonnes * 1000000::numeric ELSE 0 END
    """,
    "an order is complete exactly when all its grams are retired": """
        SELECT 'order ' || o.order_id || ' is ' || o.status || ', retired are ' || coalesce(a.retired, 0) || ' of '
               || o.quantity_grams || ' g'
          FROM orders o
          LEFT JOIN (SELECT a.organisation_id, a.order_id, sum(a.quantity_grams) AS retired
                       FROM allocations a JOIN retirements r USING (organisation_id, retirement_id)
                      WHERE r.state = 'confirmed' AND a.order_id IS NOT NULL
                      GROUP BY a.organisation_id, a.order_id) a
            ON a.organisation_id = o.organisation_id AND a.order_id = o.order_id
         WHERE (o.status = 'complete') <> (coalesce(a.retired, 0) = o.quantity_grams)
            OR a.retired > o.quantity_grams
    """,
    "an order is retiring from its first allocated gram on": """
        SELECT 'order ' || o.order_id || ' is ' || o.status
          FROM orders o
          LEFT JOIN (SELECT DISTINCT organisation_id, order_id FROM allocations) a
            ON a.organisation_id = o.organisation_id AND a.order_id = o.order_id
         WHERE (a.order_id IS NOT NULL) <> (o.status IN ('retiring', 'complete'))
    """,
    "a pooled order has each of its grams in a pool, once": """
        SELECT 'order ' || o.order_id || ': ' || coalesce(e.grams, 0) || ' of ' || o.quantity_grams || ' g are pooled'
          FROM orders o
          LEFT JOIN (SELECT organisation_id, order_id, sum(quantity_grams) AS grams FROM pool_entries
                      WHERE order_id IS NOT NULL GROUP BY organisation_id, order_id) e
            ON e.organisation_id = o.organisation_id AND e.order_id = o.order_id
         WHERE coalesce(e.grams, 0) <> CASE WHEN o.pooled_at IS NULL THEN 0 ELSE o.quantity_grams END
    """,
    "the entries of a pool stand gram after gram": """
        SELECT 'pool ' || pool_id || ' at gram ' || gram_first
          FROM (SELECT pool_id, gram_first, coalesce(lag(gram_first + quantity_grams) OVER w, 0) AS expected
                  FROM pool_entries WINDOW w AS (PARTITION BY organisation_id, pool_id ORDER BY gram_first)) e
         WHERE gram_first <> expected
         UNION ALL
        SELECT 'pool ' || p.pool_id || ' counts ' || p.entered_grams || ' g, its entries hold ' || coalesce(e.grams, 0)
          FROM pools p
          LEFT JOIN (SELECT organisation_id, pool_id, sum(quantity_grams) AS grams FROM pool_entries
                      GROUP BY organisation_id, pool_id) e USING (organisation_id, pool_id)
         WHERE coalesce(e.grams, 0) <> p.entered_grams
    """,
    "every gram of a pool is covered by one retirement at most": """
        SELECT 'pool ' || pool_id || ' at gram ' || gram_first
          FROM (SELECT pool_id, gram_first, max(gram_first + tonnes * 1000000) OVER
                       (PARTITION BY organisation_id, pool_id ORDER BY gram_first
                        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                  FROM (SELECT organisation_id, pool_id, gram_first, tonnes FROM retirements
                         WHERE state <> 'rejected' AND replaces_id IS NULL
                         UNION ALL SELECT organisation_id, pool_id, gram_first, tonnes FROM pool_gaps) t) r
         WHERE gram_first < before
         UNION ALL
        SELECT 'pool ' || p.pool_id || ' counts ' || p.covered_grams || ' g covered and ' || p.gaps_grams || ' g of gaps; '
               || 'retirements hold ' || coalesce(r.tonnes, 0) || ' t, gaps ' || coalesce(g.tonnes, 0) || ' t'
          FROM pools p
          LEFT JOIN (SELECT organisation_id, pool_id, sum(tonnes) AS tonnes FROM retirements
                      WHERE state <> 'rejected' AND replaces_id IS NULL
                      GROUP BY organisation_id, pool_id) r USING (organisation_id, pool_id)
          LEFT JOIN (SELECT organisation_id, pool_id, sum(tonnes) AS tonnes FROM pool_gaps
                      GROUP BY organisation_id, pool_id) g USING (organisation_id, pool_id)
         WHERE p.covered_grams - p.gaps_grams <> coalesce(r.tonnes, 0) * 1000000
            OR p.gaps_grams <> coalesce(g.tonnes, 0) * 1000000
    """,
    "a pool waits with less than a tonne, or its bundle is out of stock": """
        SELECT 'pool ' || p.pool_id || ' of bundle ' || p.bundle_id || ' since ' || p.due_since
          FROM pools p
          JOIN accounts a ON a.organisation_id = p.organisation_id AND a.account_id = p.account_id
         WHERE p.due_since < now() - interval '1 hour' AND a.test_behaviour NOT IN ('by_hand', 'out_of_stock')
           AND EXISTS (SELECT FROM bundle_projects b
                         JOIN projects c ON c.project_id = b.project_id AND c.disabled_at IS NULL
                         JOIN lots l ON l.project_id = b.project_id AND l.mode = p.mode AND l.available_tonnes > 0
                                    AND l.suspended_at IS NULL
                        WHERE b.bundle_id = p.bundle_id
                          AND l.vintage_year >= coalesce((p.terms #>> '{restrictions,min_vintage_year}')::int, 0)
                          AND NOT coalesce(p.terms #> '{restrictions,excluded_countries}' ? c.country_code, false)
                          AND NOT coalesce(p.terms #> '{restrictions,excluded_projects}' ? c.project_id::text, false))
    """,
    "no serial number is in two retirements": """
        SELECT 'lot ' || lot_id || ' at serial number ' || serial_first
          FROM (SELECT lot_id, serial_first, max(serial_last) OVER (PARTITION BY project_id, lot_id ORDER BY serial_first
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                  FROM (SELECT project_id, lot_id, serial_first, serial_last FROM retirements WHERE state <> 'rejected'
                         UNION ALL
                        SELECT project_id, lot_id, serial_first, serial_first + tonnes - 1 FROM returned_blocks) t) r
         WHERE serial_first <= before
    """,
    "a lot counts what retirements took of it": """
        SELECT 'lot ' || l.lot_id || ' counts ' || l.allocated_tonnes || ' t allocated and ' || l.retired_tonnes
               || ' t retired; retirements took ' || coalesce(r.open, 0) || ' and ' || coalesce(r.confirmed, 0)
          FROM lots l
          LEFT JOIN (SELECT project_id, lot_id, sum(tonnes) FILTER (WHERE state = 'confirmed') AS confirmed,
                            sum(tonnes) FILTER (WHERE state IN ('pending', 'submitted', 'unknown')) AS open
                       FROM retirements GROUP BY project_id, lot_id) r USING (project_id, lot_id)
         WHERE l.allocated_tonnes <> coalesce(r.open, 0) OR l.retired_tonnes <> coalesce(r.confirmed, 0)
    """,
    "a lot has in stock, or set aside, the serial numbers that it counts": """
        SELECT 'lot ' || l.lot_id
          FROM lots l
          LEFT JOIN (SELECT project_id, lot_id, sum(tonnes) FILTER (WHERE is_available) AS good,
                            sum(tonnes) FILTER (WHERE NOT is_available) AS set_aside
                       FROM returned_blocks GROUP BY project_id, lot_id) b USING (project_id, lot_id)
         WHERE l.available_tonnes <> l.serial_last - l.serial_next + 1 + coalesce(b.good, 0)
            OR l.set_aside_tonnes <> coalesce(b.set_aside, 0)
    """,
    "a retirement's serial numbers are of its lot, and were taken": """
        SELECT 'retirement ' || r.retirement_id
          FROM retirements r LEFT JOIN lots l USING (project_id, lot_id)
         WHERE l.lot_id IS NULL OR r.serial_first < l.serial_first OR r.serial_last >= l.serial_next
            OR r.serial_prefix <> l.serial_prefix OR r.vintage_year <> l.vintage_year OR r.mode <> l.mode
    """,
    "a retirement is for the account, bundle and beneficiary of its pool": """
        SELECT 'retirement ' || r.retirement_id
          FROM retirements r LEFT JOIN pools p USING (organisation_id, pool_id)
         WHERE (r.account_id, r.bundle_id, r.beneficiary, r.terms, r.mode)
               IS DISTINCT FROM (p.account_id, p.bundle_id, p.beneficiary, p.terms, p.mode)
    """,
    "what was withdrawn is not in stock, nor set aside": """
        SELECT 'lot ' || w.lot_id || ' has some of ' || w.serial_first || ' to ' || w.serial_last
          FROM withdrawals w JOIN lots l USING (project_id, lot_id)
         WHERE w.serial_last >= l.serial_next
            OR EXISTS (SELECT FROM returned_blocks b WHERE b.project_id = w.project_id AND b.lot_id = w.lot_id
                          AND b.serial_first <= w.serial_last AND b.serial_first + b.tonnes > w.serial_first)
    """,
    "no more stands in for a retirement than was withdrawn of it": """
        SELECT 'retirement ' || r.retirement_id || ': ' || n.tonnes || ' t stand in for ' || coalesce(w.tonnes, 0) || ' t'
          FROM retirements r
          JOIN (SELECT organisation_id, replaces_id, sum(tonnes) AS tonnes FROM retirements
                 WHERE state <> 'rejected' AND replaces_id IS NOT NULL GROUP BY organisation_id, replaces_id) n
            ON n.organisation_id = r.organisation_id AND n.replaces_id = r.retirement_id
          LEFT JOIN LATERAL (SELECT sum(least(w.serial_last, r.serial_last) - greatest(w.serial_first, r.serial_first) + 1)
                                    AS tonnes
                               FROM withdrawals w
                              WHERE w.project_id = r.project_id AND w.lot_id = r.lot_id
                                AND w.serial_first <= r.serial_last AND w.serial_last >= r.serial_first) w ON true
         WHERE n.tonnes > coalesce(w.tonnes, 0)
    """,
}
