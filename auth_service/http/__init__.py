"""The HTTP surface of auth: one app with the public and the internal routes.

`public_app` builds it, `routes/` has the operations, `middleware/` what applies to each request. The other modules
are shared by the routes: schemas of bodies, authentication of the bearer, problem documents, the refresh cookie.
Never runs SQL and never decides a rule: routes call `use_cases`.
"""
