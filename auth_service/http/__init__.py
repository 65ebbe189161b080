"""The HTTP surface of auth: one app with the public and the internal routes.

`public_app` builds it, `routes/` has the operations, `middleware/` applies to each request. The remaining modules are
shared by the routes: schemas of bodies, authentication, problem documents, the refresh cookie.
Never runs SQL and never decides a rule: routes call `use_cases`.
"""
