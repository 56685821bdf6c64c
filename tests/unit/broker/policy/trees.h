/* tests/unit/broker/policy/trees.h - analysed trees as PostgreSQL 15 writes them (pg_policy.polqual), of a table
 *
 *   pt(id int, owner uuid, title text, level int, price numeric, mood mood, tags text[], public bool, until timestamptz)
 */
#ifndef PGTIDE_TESTS_POLICY_TREES_H
#define PGTIDE_TESTS_POLICY_TREES_H

static const char tree_owner[] __attribute__((unused)) =
    "{OPEXPR :opno 2972 :opfuncid 2956 :opresulttype 16 :opretset false :opcollid 0 :inputcollid 0 "
    ":args ({VAR :varno 1 :varattno 2 :vartype 2950 :vartypmod -1 :varcollid 0 :varlevelsup 0 "
    ":varnosyn 1 :varattnosyn 2} {SUBLINK :subLinkType 4 :subLinkId 0 :testexpr <> :operName <> "
    ":subselect {QUERY :commandType 1 :querySource 0 :canSetTag true :utilityStmt <> "
    ":resultRelation 0 :hasAggs false :hasWindowFuncs false :hasTargetSRFs false :hasSubLinks "
    "false :hasDistinctOn false :hasRecursive false :hasModifyingCTE false :hasForUpdate false "
    ":hasRowSecurity false :isReturn false :cteList <> :rtable <> :jointree {FROMEXPR :fromlist <> "
    ":quals <>} :targetList ({TARGETENTRY :expr {FUNCEXPR :funcid 16386 :funcresulttype 2950 "
    ":funcretset false :funcvariadic false :funcformat 0 :funccollid 0 :inputcollid 0 :args <>} "
    ":resno 1 :resname uid :ressortgroupref 0 :resorigtbl 0 :resorigcol 0 :resjunk false}) "
    ":override 0 :onConflict <> :returningList <> :groupClause <> :groupDistinct false "
    ":groupingSets <> :havingQual <> :windowClause <> :distinctClause <> :sortClause <> "
    ":limitOffset <> :limitCount <> :limitOption 0 :rowMarks <> :setOperations <> :constraintDeps "
    "<> :withCheckOptions <> :mergeActionList <> :mergeUseOuterJoin false :stmt_location 0 "
    ":stmt_len 0}})}";

static const char tree_public[] __attribute__((unused)) =
    "{BOOLEXPR :boolop or :args ({VAR :varno 1 :varattno 8 :vartype 16 :vartypmod -1 :varcollid 0 "
    ":varlevelsup 0 :varnosyn 1 :varattnosyn 8} {BOOLEXPR :boolop and :args ({OPEXPR :opno 521 "
    ":opfuncid 147 :opresulttype 16 :opretset false :opcollid 0 :inputcollid 0 :args ({VAR :varno "
    "1 :varattno 4 :vartype 23 :vartypmod -1 :varcollid 0 :varlevelsup 0 :varnosyn 1 :varattnosyn "
    "4} {CONST :consttype 23 :consttypmod -1 :constcollid 0 :constlen 4 :constbyval true "
    ":constisnull false :constvalue 4 [ 3 0 0 0 0 0 0 0 ]})} {BOOLEXPR :boolop not :args ({OPEXPR "
    ":opno 98 :opfuncid 67 :opresulttype 16 :opretset false :opcollid 0 :inputcollid 100 :args "
    "({VAR :varno 1 :varattno 3 :vartype 25 :vartypmod -1 :varcollid 100 :varlevelsup 0 :varnosyn "
    "1 :varattnosyn 3} {CONST :consttype 25 :consttypmod -1 :constcollid 100 :constlen -1 "
    ":constbyval false :constisnull false :constvalue 5 [ 20 0 0 0 120 ]})})})})}";

static const char tree_list[] __attribute__((unused)) =
    "{BOOLEXPR :boolop and :args ({SCALARARRAYOPEXPR :opno 96 :opfuncid 65 :hashfuncid 0 "
    ":negfuncid 0 :useOr true :inputcollid 0 :args ({VAR :varno 1 :varattno 4 :vartype 23 "
    ":vartypmod -1 :varcollid 0 :varlevelsup 0 :varnosyn 1 :varattnosyn 4} {ARRAYEXPR "
    ":array_typeid 1007 :array_collid 0 :element_typeid 23 :elements ({CONST :consttype 23 "
    ":consttypmod -1 :constcollid 0 :constlen 4 :constbyval true :constisnull false :constvalue 4 "
    "[ 1 0 0 0 0 0 0 0 ]} {CONST :consttype 23 :consttypmod -1 :constcollid 0 :constlen 4 "
    ":constbyval true :constisnull false :constvalue 4 [ 2 0 0 0 0 0 0 0 ]} {CONST :consttype 23 "
    ":consttypmod -1 :constcollid 0 :constlen 4 :constbyval true :constisnull true :constvalue "
    "<>}) :multidims false})} {SCALARARRAYOPEXPR :opno 98 :opfuncid 67 :hashfuncid 0 :negfuncid 0 "
    ":useOr true :inputcollid 100 :args ({VAR :varno 1 :varattno 3 :vartype 25 :vartypmod -1 "
    ":varcollid 100 :varlevelsup 0 :varnosyn 1 :varattnosyn 3} {CONST :consttype 1009 :consttypmod "
    "-1 :constcollid 100 :constlen -1 :constbyval false :constisnull false :constvalue 48 [ -64 0 "
    "0 0 1 0 0 0 32 0 0 0 25 0 0 0 3 0 0 0 1 0 0 0 3 0 0 0 0 0 0 0 20 0 0 0 97 0 0 0 28 0 0 0 98 "
    "32 99 0 ]})})}";

static const char tree_case[] __attribute__((unused)) =
    "{CASEEXPR :casetype 16 :casecollid 0 :arg <> :args ({CASEWHEN :expr {NULLTEST :arg {VAR "
    ":varno 1 :varattno 4 :vartype 23 :vartypmod -1 :varcollid 0 :varlevelsup 0 :varnosyn 1 "
    ":varattnosyn 4} :nulltesttype 0 :argisrow false} :result {OPEXPR :opno 1757 :opfuncid 1721 "
    ":opresulttype 16 :opretset false :opcollid 0 :inputcollid 0 :args ({VAR :varno 1 :varattno 5 "
    ":vartype 1700 :vartypmod -1 :varcollid 0 :varlevelsup 0 :varnosyn 1 :varattnosyn 5} {CONST "
    ":consttype 1700 :consttypmod -1 :constcollid 0 :constlen -1 :constbyval false :constisnull "
    "false :constvalue 10 [ 40 0 0 0 0 -127 1 0 -120 19 ]})}}) :defresult {OPEXPR :opno 1209 "
    ":opfuncid 850 :opresulttype 16 :opretset false :opcollid 0 :inputcollid 100 :args "
    "({COALESCEEXPR :coalescetype 25 :coalescecollid 100 :args ({VAR :varno 1 :varattno 3 :vartype "
    "25 :vartypmod -1 :varcollid 100 :varlevelsup 0 :varnosyn 1 :varattnosyn 3} {CONST :consttype "
    "25 :consttypmod -1 :constcollid 100 :constlen -1 :constbyval false :constisnull false "
    ":constvalue 5 [ 20 0 0 0 122 ]})} {CONST :consttype 25 :consttypmod -1 :constcollid 100 "
    ":constlen -1 :constbyval false :constisnull false :constvalue 6 [ 24 0 0 0 97 37 ]})}}";

static const char tree_enum[] __attribute__((unused)) =
    "{BOOLEXPR :boolop and :args ({OPEXPR :opno 3518 :opfuncid 3510 :opresulttype 16 :opretset "
    "false :opcollid 0 :inputcollid 0 :args ({VAR :varno 1 :varattno 6 :vartype 16388 :vartypmod "
    "-1 :varcollid 0 :varlevelsup 0 :varnosyn 1 :varattnosyn 6} {CONST :consttype 16388 "
    ":consttypmod -1 :constcollid 0 :constlen 4 :constbyval true :constisnull false :constvalue 4 "
    "[ 10 64 0 0 0 0 0 0 ]})} {OPEXPR :opno 1324 :opfuncid 1157 :opresulttype 16 :opretset false "
    ":opcollid 0 :inputcollid 0 :args ({VAR :varno 1 :varattno 9 :vartype 1184 :vartypmod -1 "
    ":varcollid 0 :varlevelsup 0 :varnosyn 1 :varattnosyn 9} {FUNCEXPR :funcid 1299 "
    ":funcresulttype 1184 :funcretset false :funcvariadic false :funcformat 0 :funccollid 0 "
    ":inputcollid 0 :args <>})})}";

static const char tree_member[] __attribute__((unused)) =
    "{SUBLINK :subLinkType 0 :subLinkId 0 :testexpr <> :operName <> :subselect {QUERY :commandType "
    "1 :querySource 0 :canSetTag true :utilityStmt <> :resultRelation 0 :hasAggs false "
    ":hasWindowFuncs false :hasTargetSRFs false :hasSubLinks false :hasDistinctOn false "
    ":hasRecursive false :hasModifyingCTE false :hasForUpdate false :hasRowSecurity false "
    ":isReturn false :cteList <> :rtable ({RANGETBLENTRY :alias {ALIAS :aliasname m :colnames <>} "
    ":eref {ALIAS :aliasname m :colnames (\"team_id\" \"user_id\" \"role\")} :rtekind 0 :relid "
    "16402 :relkind r :rellockmode 1 :tablesample <> :lateral false :inh true :inFromCl true "
    ":requiredPerms 2 :checkAsUser 0 :selectedCols (b 8 9) :insertedCols (b) :updatedCols (b) "
    ":extraUpdatedCols (b) :securityQuals <>}) :jointree {FROMEXPR :fromlist ({RANGETBLREF "
    ":rtindex 1}) :quals {BOOLEXPR :boolop and :args ({OPEXPR :opno 96 :opfuncid 65 :opresulttype "
    "16 :opretset false :opcollid 0 :inputcollid 0 :args ({VAR :varno 1 :varattno 1 :vartype 23 "
    ":vartypmod -1 :varcollid 0 :varlevelsup 0 :varnosyn 1 :varattnosyn 1} {VAR :varno 1 :varattno "
    "4 :vartype 23 :vartypmod -1 :varcollid 0 :varlevelsup 1 :varnosyn 1 :varattnosyn 4})} {OPEXPR "
    ":opno 2972 :opfuncid 2956 :opresulttype 16 :opretset false :opcollid 0 :inputcollid 0 :args "
    "({VAR :varno 1 :varattno 2 :vartype 2950 :vartypmod -1 :varcollid 0 :varlevelsup 0 :varnosyn "
    "1 :varattnosyn 2} {FUNCEXPR :funcid 16386 :funcresulttype 2950 :funcretset false "
    ":funcvariadic false :funcformat 0 :funccollid 0 :inputcollid 0 :args <>})})}} :targetList "
    "({TARGETENTRY :expr {CONST :consttype 23 :consttypmod -1 :constcollid 0 :constlen 4 "
    ":constbyval true :constisnull false :constvalue 4 [ 1 0 0 0 0 0 0 0 ]} :resno 1 :resname "
    "?column? :ressortgroupref 0 :resorigtbl 0 :resorigcol 0 :resjunk false}) :override 0 "
    ":onConflict <> :returningList <> :groupClause <> :groupDistinct false :groupingSets <> "
    ":havingQual <> :windowClause <> :distinctClause <> :sortClause <> :limitOffset <> :limitCount "
    "<> :limitOption 0 :rowMarks <> :setOperations <> :constraintDeps <> :withCheckOptions <> "
    ":mergeActionList <> :mergeUseOuterJoin false :stmt_location 0 :stmt_len 0}}";

static const char tree_array[] __attribute__((unused)) =
    "{SCALARARRAYOPEXPR :opno 96 :opfuncid 65 :hashfuncid 0 :negfuncid 0 :useOr true :inputcollid "
    "0 :args ({VAR :varno 1 :varattno 4 :vartype 23 :vartypmod -1 :varcollid 0 :varlevelsup 0 "
    ":varnosyn 1 :varattnosyn 4} {SUBLINK :subLinkType 6 :subLinkId 0 :testexpr <> :operName <> "
    ":subselect {QUERY :commandType 1 :querySource 0 :canSetTag true :utilityStmt <> "
    ":resultRelation 0 :hasAggs false :hasWindowFuncs false :hasTargetSRFs false :hasSubLinks "
    "false :hasDistinctOn false :hasRecursive false :hasModifyingCTE false :hasForUpdate false "
    ":hasRowSecurity false :isReturn false :cteList <> :rtable ({RANGETBLENTRY :alias <> :eref "
    "{ALIAS :aliasname memb :colnames (\"team_id\" \"user_id\" \"role\")} :rtekind 0 :relid 16402 "
    ":relkind r :rellockmode 1 :tablesample <> :lateral false :inh true :inFromCl true "
    ":requiredPerms 2 :checkAsUser 0 :selectedCols (b 8 9) :insertedCols (b) :updatedCols (b) "
    ":extraUpdatedCols (b) :securityQuals <>}) :jointree {FROMEXPR :fromlist ({RANGETBLREF "
    ":rtindex 1}) :quals {OPEXPR :opno 2972 :opfuncid 2956 :opresulttype 16 :opretset false "
    ":opcollid 0 :inputcollid 0 :args ({VAR :varno 1 :varattno 2 :vartype 2950 :vartypmod -1 "
    ":varcollid 0 :varlevelsup 0 :varnosyn 1 :varattnosyn 2} {FUNCEXPR :funcid 16386 "
    ":funcresulttype 2950 :funcretset false :funcvariadic false :funcformat 0 :funccollid 0 "
    ":inputcollid 0 :args <>})}} :targetList ({TARGETENTRY :expr {VAR :varno 1 :varattno 1 "
    ":vartype 23 :vartypmod -1 :varcollid 0 :varlevelsup 0 :varnosyn 1 :varattnosyn 1} :resno 1 "
    ":resname team_id :ressortgroupref 0 :resorigtbl 16402 :resorigcol 1 :resjunk false}) "
    ":override 0 :onConflict <> :returningList <> :groupClause <> :groupDistinct false "
    ":groupingSets <> :havingQual <> :windowClause <> :distinctClause <> :sortClause <> "
    ":limitOffset <> :limitCount <> :limitOption 0 :rowMarks <> :setOperations <> :constraintDeps "
    "<> :withCheckOptions <> :mergeActionList <> :mergeUseOuterJoin false :stmt_location 0 "
    ":stmt_len 0}})}";

static const char tree_regex[] __attribute__((unused)) =
    "{BOOLEXPR :boolop or :args ({OPEXPR :opno 641 :opfuncid 1254 :opresulttype 16 :opretset false "
    ":opcollid 0 :inputcollid 100 :args ({VAR :varno 1 :varattno 3 :vartype 25 :vartypmod -1 "
    ":varcollid 100 :varlevelsup 0 :varnosyn 1 :varattnosyn 3} {CONST :consttype 25 :consttypmod "
    "-1 :constcollid 100 :constlen -1 :constbyval false :constisnull false :constvalue 6 [ 24 0 0 "
    "0 94 97 ]})} {BOOLEANTEST :arg {VAR :varno 1 :varattno 8 :vartype 16 :vartypmod -1 :varcollid "
    "0 :varlevelsup 0 :varnosyn 1 :varattnosyn 8} :booltesttype 1})}";

static const char tree_claim[] __attribute__((unused)) =
    "{BOOLEXPR :boolop and :args ({OPEXPR :opno 98 :opfuncid 67 :opresulttype 16 :opretset false "
    ":opcollid 0 :inputcollid 100 :args ({OPEXPR :opno 3477 :opfuncid 3214 :opresulttype 25 "
    ":opretset false :opcollid 100 :inputcollid 100 :args ({FUNCEXPR :funcid 16385 :funcresulttype "
    "3802 :funcretset false :funcvariadic false :funcformat 0 :funccollid 0 :inputcollid 0 :args "
    "<>} {CONST :consttype 25 :consttypmod -1 :constcollid 100 :constlen -1 :constbyval false "
    ":constisnull false :constvalue 8 [ 32 0 0 0 114 111 108 101 ]})} {CONST :consttype 25 "
    ":consttypmod -1 :constcollid 100 :constlen -1 :constbyval false :constisnull false "
    ":constvalue 9 [ 36 0 0 0 97 100 109 105 110 ]})} {OPEXPR :opno 96 :opfuncid 65 :opresulttype "
    "16 :opretset false :opcollid 0 :inputcollid 0 :args ({COERCEVIAIO :arg {FUNCEXPR :funcid 2077 "
    ":funcresulttype 25 :funcretset false :funcvariadic false :funcformat 0 :funccollid 100 "
    ":inputcollid 100 :args ({CONST :consttype 25 :consttypmod -1 :constcollid 100 :constlen -1 "
    ":constbyval false :constisnull false :constvalue 9 [ 36 0 0 0 97 112 112 46 110 ]})} "
    ":resulttype 23 :resultcollid 0 :coerceformat 1} {VAR :varno 1 :varattno 4 :vartype 23 "
    ":vartypmod -1 :varcollid 0 :varlevelsup 0 :varnosyn 1 :varattnosyn 4})})}";

static const char tree_in[] __attribute__((unused)) =
    "{SUBLINK :subLinkType 2 :subLinkId 0 :testexpr {OPEXPR :opno 96 :opfuncid 65 :opresulttype 16 "
    ":opretset false :opcollid 0 :inputcollid 0 :args ({VAR :varno 1 :varattno 4 :vartype 23 "
    ":vartypmod -1 :varcollid 0 :varlevelsup 0 :varnosyn 1 :varattnosyn 4} {PARAM :paramkind 2 "
    ":paramid 1 :paramtype 23 :paramtypmod -1 :paramcollid 0})} :operName (\"=\") :subselect "
    "{QUERY :commandType 1 :querySource 0 :canSetTag true :utilityStmt <> :resultRelation 0 "
    ":hasAggs false :hasWindowFuncs false :hasTargetSRFs false :hasSubLinks false :hasDistinctOn "
    "false :hasRecursive false :hasModifyingCTE false :hasForUpdate false :hasRowSecurity false "
    ":isReturn false :cteList <> :rtable ({RANGETBLENTRY :alias <> :eref {ALIAS :aliasname memb "
    ":colnames (\"team_id\" \"user_id\" \"role\")} :rtekind 0 :relid 16402 :relkind r :rellockmode "
    "1 :tablesample <> :lateral false :inh true :inFromCl true :requiredPerms 2 :checkAsUser 0 "
    ":selectedCols (b 8 9) :insertedCols (b) :updatedCols (b) :extraUpdatedCols (b) :securityQuals "
    "<>}) :jointree {FROMEXPR :fromlist ({RANGETBLREF :rtindex 1}) :quals {OPEXPR :opno 2972 "
    ":opfuncid 2956 :opresulttype 16 :opretset false :opcollid 0 :inputcollid 0 :args ({VAR :varno "
    "1 :varattno 2 :vartype 2950 :vartypmod -1 :varcollid 0 :varlevelsup 0 :varnosyn 1 "
    ":varattnosyn 2} {FUNCEXPR :funcid 16386 :funcresulttype 2950 :funcretset false :funcvariadic "
    "false :funcformat 0 :funccollid 0 :inputcollid 0 :args <>})}} :targetList ({TARGETENTRY :expr "
    "{VAR :varno 1 :varattno 1 :vartype 23 :vartypmod -1 :varcollid 0 :varlevelsup 0 :varnosyn 1 "
    ":varattnosyn 1} :resno 1 :resname team_id :ressortgroupref 0 :resorigtbl 16402 :resorigcol 1 "
    ":resjunk false}) :override 0 :onConflict <> :returningList <> :groupClause <> :groupDistinct "
    "false :groupingSets <> :havingQual <> :windowClause <> :distinctClause <> :sortClause <> "
    ":limitOffset <> :limitCount <> :limitOption 0 :rowMarks <> :setOperations <> :constraintDeps "
    "<> :withCheckOptions <> :mergeActionList <> :mergeUseOuterJoin false :stmt_location 0 "
    ":stmt_len 0}}";

static const char tree_tags[] __attribute__((unused)) =
    "{BOOLEXPR :boolop and :args ({SCALARARRAYOPEXPR :opno 98 :opfuncid 67 :hashfuncid 0 "
    ":negfuncid 0 :useOr true :inputcollid 100 :args ({CONST :consttype 25 :consttypmod -1 "
    ":constcollid 100 :constlen -1 :constbyval false :constisnull false :constvalue 5 [ 20 0 0 0 "
    "97 ]} {VAR :varno 1 :varattno 7 :vartype 1009 :vartypmod -1 :varcollid 100 :varlevelsup 0 "
    ":varnosyn 1 :varattnosyn 7})} {DISTINCTEXPR :opno 96 :opfuncid 65 :opresulttype 16 :opretset "
    "false :opcollid 0 :inputcollid 0 :args ({NULLIFEXPR :opno 96 :opfuncid 65 :opresulttype 23 "
    ":opretset false :opcollid 0 :inputcollid 0 :args ({VAR :varno 1 :varattno 4 :vartype 23 "
    ":vartypmod -1 :varcollid 0 :varlevelsup 0 :varnosyn 1 :varattnosyn 4} {CONST :consttype 23 "
    ":consttypmod -1 :constcollid 0 :constlen 4 :constbyval true :constisnull false :constvalue 4 "
    "[ 3 0 0 0 0 0 0 0 ]})} {CONST :consttype 23 :consttypmod -1 :constcollid 0 :constlen 4 "
    ":constbyval true :constisnull false :constvalue 4 [ 4 0 0 0 0 0 0 0 ]})})}";

#endif
