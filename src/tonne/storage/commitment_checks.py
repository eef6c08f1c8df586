"""What must always be true of what is promised, spent and restricted. Each statement returns what breaks its rule."""

from __future__ import annotations

from tonne.storage.commitments import COMMITTED, TRACKED

COMMITMENT_CHECKS = {
    "what bundles have promised is counted where it must be": f"""
        SELECT 'bundle ' || bundle_id FROM ({TRACKED}) t
         WHERE NOT EXISTS (SELECT FROM bundle_commitments c WHERE c.bundle_id = t.bundle_id AND c.restrictions = '{{}}')
         UNION ALL
        SELECT 'bundle ' || c.bundle_id || ' counts ' || c.committed_grams || ' g as promised, it is '
               || coalesce(p.grams, 0)
          FROM bundle_commitments c
          LEFT JOIN ({COMMITTED}) p ON p.bundle_id = c.bundle_id AND p.restrictions = c.restrictions
         WHERE c.committed_grams <> coalesce(p.grams, 0)
         UNION ALL
        SELECT 'bundle ' || p.bundle_id || ' does not count ' || p.grams || ' g that are promised'
          FROM ({COMMITTED}) p
         WHERE p.grams <> 0 AND EXISTS (SELECT FROM bundle_commitments c WHERE c.bundle_id = p.bundle_id)
           AND NOT EXISTS (SELECT FROM bundle_commitments c
                            WHERE c.bundle_id = p.bundle_id AND c.restrictions = p.restrictions)
    """,  # noqa: S608
    "credits are as old and from where their orders allow": """
        SELECT 'retirement ' || r.retirement_id || ' of vintage ' || r.vintage_year || ' from ' || p.country_code
          FROM retirements r JOIN projects p ON p.project_id = r.project_id
         WHERE r.state <> 'rejected' AND r.terms ? 'restrictions'
           AND (r.vintage_year < (r.terms #>> '{restrictions,min_vintage_year}')::int
                OR r.terms #> '{restrictions,excluded_countries}' ? p.country_code
                OR r.terms #> '{restrictions,excluded_projects}' ? p.project_id::text)
    """,
    "no order costs more than it may": """
        SELECT 'order ' || o.order_id || ': bundle ' || l.bundle_id || ' at ' || l.gross_unit_price
          FROM orders o CROSS JOIN LATERAL unnest(o.lines) l
         WHERE l.gross_unit_price > (o.terms ->> 'max_unit_price')::numeric
    """,
}
